-- hex(number):
-- The number as 0x…, in the lower case that disassemblers use.
CREATE OR REPLACE MACRO hex(number) AS '0x' || lower(to_hex(number::UBIGINT));

-- between_marks('label'), between_marks('table', 'label'):
-- As a table: the regions of that label with begin_seq and end_seq; with a table's name first, that
-- table's rows inside them. Accesses to the marker itself are the caller's to exclude.
CREATE OR REPLACE MACRO between_marks(label_) AS TABLE (
  SELECT * FROM region WHERE label = label_
), (table_, label_) AS TABLE (
  SELECT t.*
  FROM query_table(table_) t
  JOIN region r ON r.run = t.run AND r.label = label_ AND t.seq > r.begin_seq AND t.seq < r.end_seq
);
