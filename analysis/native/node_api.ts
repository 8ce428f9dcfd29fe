/**
 * What is used of native DuckDB's packages. They are fetched when asked for, and so are not there to be
 * checked against: it is declared here.
 * @module
 */
export interface NativeChunk {
  readonly chunk: unknown;
  rowCount: number;
  getColumnValues(column: number): unknown[];
}
export interface NativeType {
  readonly typeId: number;
  toString(): string;
}
interface NativeResult {
  columnNames(): string[];
  columnTypes(): NativeType[];
  fetchAllChunks(): Promise<NativeChunk[]>;
}
export interface Connection {
  run(sql: string, values?: unknown[]): Promise<NativeResult>;
  registerTableFunction(made: unknown): void;
  closeSync(): void;
}
export interface Instance {
  connect(): Promise<Connection>;
  closeSync(): void;
}
/** A function whose rows JavaScript makes; `bindData` of the one call comes back in the others. */
interface TableFunction {
  readonly name: string;
  readonly parameterTypes: readonly NativeType[];
  bindFunction(info: {
    getParameter(index: number): unknown;
    addResultColumn(name: string, type: NativeType): void;
    setBindData(data: object): void;
  }): void;
  initFunction(info: { setMaxThreads(count: number): void }): void;
  mainFunction(info: { getBindData(): unknown }, output: NativeChunk): void;
}
export interface NodeApi {
  DuckDBInstance: { create(path: string): Promise<Instance> };
  DuckDBTableFunction: { create(definition: TableFunction): unknown };
  DuckDBBlobValue: new (bytes: Uint8Array) => unknown;
  [type: string]: unknown;
}
type CopyToVector = (
  vector: unknown,
  targetAt: number,
  source: ArrayBufferLike,
  sourceAt: number,
  bytes: number,
) => void;
export interface NodeBindings {
  data_chunk_get_vector(chunk: unknown, column: number): unknown;
  vector_ensure_validity_writable(vector: unknown): void;
  vector_assign_string_element_len(vector: unknown, row: number, bytes: Uint8Array): void;
  copy_data_to_vector: CopyToVector;
  copy_data_to_vector_validity: CopyToVector;
}
