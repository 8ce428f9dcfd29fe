/**
 * Goldfish real-time clock, in ns since 1970. Source: Goldfish virtual hardware documentation ("Goldfish
 * real-time clock"), with the registers that Linux's rtc-goldfish driver adds to it.
 *
 * The wall clock is the property `start_ns` plus virtual time, never the host's.
 * Deviates from QEMU: setting the time moves a running alarm, which stays at its time of the clock.
 * @module
 */
import { device, flag, type Port, prop, type StateOf, u32, u64 } from "./device.ts";
import { PlugError } from "./error.ts";

const LOW = 0xffff_ffffn;

const STATE = {
  /** What the guest added to the clock by setting it, modulo 2^64. */
  adjustNs: u64(),
  /** Upper half, latched when the lower is read. */
  latchedHigh: u32(),
  alarmNs: u64(),
  alarmRunning: flag(),
  irqPending: flag(),
  irqEnabled: flag(),
};
type State = StateOf<typeof STATE>;

const low = (v: bigint) => Number(v & LOW);
const high = (v: bigint) => Number(v >> 32n);
const withLow = (v: bigint, low: number) => v & ~LOW | BigInt(low);
const withHigh = (v: bigint, high: number) => v & LOW | BigInt(high) << 32n;

/** The clock and its alarm. */
function makeClock(s: State, port: Port, startNs: bigint) {
  const wallNs = () => BigInt.asUintN(64, startNs + BigInt(port.now()) + s.adjustNs);

  function arm(): void {
    const waitNs = s.alarmNs - wallNs();
    s.alarmRunning = waitNs > 0n;
    if (waitNs <= 0n) s.irqPending = true;
    // An alarm later than any virtual time that can be reached stays running for ever.
    const dueNs = port.now() + Number(waitNs);
    port.timer("alarm", s.alarmRunning && Number.isSafeInteger(dueNs) ? dueNs : null);
  }
  function disarm(): void {
    s.alarmRunning = false;
    port.timer("alarm", null);
  }
  function setWall(ns: bigint): void {
    s.adjustNs += ns - wallNs();
    if (s.alarmRunning) arm();
  }
  return { wallNs, setWall, arm, disarm };
}

export const goldfishRtc = device("goldfish_rtc", {
  doc: "Goldfish RTC: wall clock with an alarm.",
  source: "Goldfish virtual hardware documentation, real-time clock",
  size: 0x1000,
  compatible: ["google,goldfish-rtc"],
  node: "rtc",
  irqs: 1,
  props: { start_ns: prop.text("1767225600000000000", "Wall clock at reset, in ns since 1970.") },
  state: STATE,
}, (s, port, props) => {
  const { wallNs, setWall, arm, disarm } = makeClock(s, port, parseNs(props.start_ns));

  return {
    regs: [
      {
        at: 0x00,
        name: "TIMER_TIME_LOW",
        get: () => low(wallNs()),
        onRead: () => s.latchedHigh = high(wallNs()),
        set: (v) => setWall(withLow(wallNs(), v)),
      },
      {
        at: 0x04,
        name: "TIMER_TIME_HIGH",
        get: () => s.latchedHigh,
        set: (v) => setWall(withHigh(wallNs(), v)),
      },
      {
        at: 0x08,
        name: "TIMER_ALARM_LOW",
        get: () => low(s.alarmNs),
        set: (v) => {
          s.alarmNs = withLow(s.alarmNs, v);
          arm();
        },
      },
      {
        at: 0x0c,
        name: "TIMER_ALARM_HIGH",
        get: () => high(s.alarmNs),
        set: (v) => s.alarmNs = withHigh(s.alarmNs, v),
      },
      {
        at: 0x10,
        name: "TIMER_IRQ_ENABLED",
        get: () => Number(s.irqEnabled),
        set: (v) => s.irqEnabled = (v & 1) !== 0,
      },
      { at: 0x14, name: "TIMER_CLEAR_ALARM", set: disarm },
      { at: 0x18, name: "TIMER_ALARM_STATUS", get: () => Number(s.alarmRunning) },
      { at: 0x1c, name: "TIMER_CLEAR_INTERRUPT", set: () => s.irqPending = false },
    ],
    events: {
      alarm: () => {
        s.alarmRunning = false;
        s.irqPending = true;
      },
    },
    settle: () => void port.irq(s.irqPending && s.irqEnabled),
  };
});

function parseNs(text: string): bigint {
  if (/^\d{1,19}$/.test(text)) return BigInt(text);
  throw new PlugError(
    `goldfish_rtc: start_ns=${text} is no time`,
    "use ns since 1970, up to 19 digits",
  );
}
