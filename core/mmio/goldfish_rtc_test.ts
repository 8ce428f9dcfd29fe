import assert from "node:assert/strict";
import { goldfishRtc } from "./goldfish_rtc.ts";
import { TestMachine } from "./test_machine.ts";

const TIME_LOW = 0, TIME_HIGH = 4, ALARM_LOW = 8, ALARM_HIGH = 0xc, IRQ_ENABLED = 0x10;
const CLEAR_ALARM = 0x14, ALARM_STATUS = 0x18, CLEAR_INTERRUPT = 0x1c;
const START = 1_767_225_600_000_000_000n;

const time = (m: TestMachine) => BigInt(m.read(TIME_LOW)) | BigInt(m.read(TIME_HIGH)) << 32n;
function set(m: TestMachine, low: number, high: number, ns: bigint): void {
  m.write(high, Number(ns >> 32n));
  m.write(low, Number(ns & 0xffff_ffffn));
}
const alarm = (m: TestMachine, ns: bigint) => set(m, ALARM_LOW, ALARM_HIGH, ns);

Deno.test("goldfish_rtc: the clock is its start plus virtual time", () => {
  const m = new TestMachine(goldfishRtc);
  assert.equal(time(m), START);
  m.advance(1_500_000_000);
  assert.equal(time(m), START + 1_500_000_000n);
  assert.equal(time(new TestMachine(goldfishRtc, { props: { start_ns: "42" } })), 42n);
  assert.throws(
    () => new TestMachine(goldfishRtc, { props: { start_ns: "now" } }),
    /start_ns=now is no time/,
  );
});

Deno.test("goldfish_rtc: the upper half is latched when the lower is read", () => {
  const m = new TestMachine(goldfishRtc, { props: { start_ns: String(2n ** 32n - 1n) } });
  assert.equal(m.read(TIME_LOW), 0xffff_ffff);
  m.advance(10);
  assert.equal(m.read(TIME_HIGH), 0);
  assert.equal(time(m), 2n ** 32n + 9n);
});

Deno.test("goldfish_rtc: the alarm interrupts at its time, until cleared", () => {
  const m = new TestMachine(goldfishRtc);
  const [wire] = m.wires;
  m.write(IRQ_ENABLED, 1);
  alarm(m, START + 1000n);
  assert.equal(m.read(ALARM_STATUS), 1);
  m.advance(999);
  assert.equal(wire.level, false);
  m.advance(1);
  assert.equal(wire.level, true);
  assert.equal(m.read(ALARM_STATUS), 0);
  m.write(CLEAR_INTERRUPT, 1);
  assert.equal(wire.level, false);
  alarm(m, START);
  assert.equal(wire.level, true, "an alarm in the past is due at once");
});

Deno.test("goldfish_rtc: a cleared alarm does not ring, and one not enabled does not interrupt", () => {
  const m = new TestMachine(goldfishRtc);
  alarm(m, START + 10n);
  m.write(CLEAR_ALARM, 1);
  assert.equal(m.read(ALARM_STATUS), 0);
  assert.equal(m.advance(100), 0);
  alarm(m, START + 200n);
  m.advance(200);
  assert.equal(m.wires[0].level, false);
  m.write(IRQ_ENABLED, 1);
  assert.equal(m.wires[0].level, true);
});

Deno.test("goldfish_rtc: a clock that is set goes on from there, and a running alarm follows it", () => {
  const m = new TestMachine(goldfishRtc);
  alarm(m, START + 5000n);
  m.advance(100);
  set(m, TIME_LOW, TIME_HIGH, START + 4000n);
  assert.equal(time(m), START + 4000n);
  m.advance(999);
  assert.equal(m.read(ALARM_STATUS), 1);
  m.advance(1);
  assert.equal(m.read(ALARM_STATUS), 0);
});
