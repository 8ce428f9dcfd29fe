import assert from "node:assert/strict";
import { COST_PROFILES, costNs, COSTS } from "./costs.ts";
import { type AccessKind, hwReasonCode, type Profile, PROFILES } from "./profiles.ts";
import { CODES } from "../trace/schema.ts";

const KINDS: AccessKind[] = ["fetch", "load", "store"];

/** Every rule that a profile can answer with. */
function rules(p: Profile) {
  return [
    ...KINDS.map((k) => p.stage2(k)),
    ...[false, true].flatMap((w) => [p.mmio(w, false), p.mmio(w, true)]),
    p.hypercall("kernel"),
    p.hypercall("user"),
    p.wfi,
    p.interrupt("external"),
    p.interrupt("timer"),
    p.interrupt("software"),
  ];
}

for (const [name, profile] of Object.entries(PROFILES)) {
  Deno.test(`profile ${name}: every name it uses is listed, every listed name is used`, () => {
    const used = new Set(rules(profile).map((r) => r.hw));
    for (const hw of used) hwReasonCode(profile, hw);
    const unused = profile.names.filter((n) => !used.has(n.name) && n.name !== "IO_INSTRUCTION");
    assert.deepEqual(unused, []);
  });
}

Deno.test("profile kvm-x86: the first access to a page violates, later ones are misconfigured", () => {
  const p = PROFILES["kvm-x86"];
  assert.equal(p.mmio(true, false).hw, "EPT_VIOLATION");
  assert.equal(p.mmio(true, true).hw, "EPT_MISCONFIG");
  assert.equal(p.mmio(false, true).hw, "EPT_MISCONFIG");
});

Deno.test("profile kvm-riscv: accesses are guest page faults by direction, never marked", () => {
  const p = PROFILES["kvm-riscv"];
  assert.equal(p.mmio(false, false).hw, "LOAD_GUEST_PAGE_FAULT");
  assert.equal(p.mmio(false, true).hw, "LOAD_GUEST_PAGE_FAULT");
  assert.equal(p.mmio(true, true).hw, "STORE_GUEST_PAGE_FAULT");
});

Deno.test("costs: every profile prices every reason for both handlers", () => {
  for (const profile of COST_PROFILES) {
    for (const { name } of CODES.reason) {
      assert.ok(costNs(profile, name, "kernel") >= 0);
      assert.ok(costNs(profile, name, "user") >= costNs(profile, name, "kernel"));
    }
  }
});

Deno.test("costs: the row that names the reason wins; every row says where it comes from", () => {
  assert.equal(costNs("kvm-x86", "hypercall", "kernel"), 619);
  assert.equal(costNs("kvm-x86", "wfi", "kernel"), 1221);
  assert.throws(() => costNs("kvm-mips", "wfi", "kernel"), /no price/);
  for (const c of COSTS) assert.ok(c.source.length > 0);
});
