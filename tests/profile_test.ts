import assert from "node:assert/strict";
import { Profile } from "../replay/profile.ts";
import { fileDigests, recordInto, serialSpec } from "./recorder.ts";
import { withFolder } from "./with_folder.ts";

/** What a profile says of the guest: all but host time. */
const guestPart = (report: string | null) => report!.slice(report!.indexOf("Hottest functions"));

for (const cpu of ["interpreter", "compiled"] as const) {
  Deno.test(`profile: the trace has the same bytes with and without (${cpu})`, () =>
    withFolder(async (folder) => {
      for (const harts of [1, 3]) {
        const spec = serialSpec({ harts });
        const plain = await recordInto(folder, spec, { cpu });
        const profiled = await recordInto(folder, spec, { cpu, profile: new Profile() });
        assert.deepEqual(fileDigests(profiled.directory), fileDigests(plain.directory));
        assert.equal(plain.result.profile, null);
        const again = await recordInto(folder, spec, {
          cpu,
          sliceInsns: 777,
          profile: new Profile(),
        });
        assert.equal(guestPart(again.result.profile), guestPart(profiled.result.profile));
      }
    }));
}

Deno.test("profile: the guest's functions have their names, whichever way it is executed", () =>
  withFolder(async (folder) => {
    const reports: string[] = [];
    for (const cpu of ["interpreter", "compiled"] as const) {
      const { result } = await recordInto(folder, serialSpec({ append: "bytes=16384" }), {
        ...{ cpu, profile: new Profile() },
      });
      reports.push(guestPart(result.profile));
    }
    assert.equal(reports[0], reports[1]);
    assert.match(reports[0], /^ +[0-9.]+ {2}[a-z_]+$/m);
    assert.doesNotMatch(reports[0].split("\n")[1], /no name/);
  }));

Deno.test("profile: page walks are counted, and what they take is told", () =>
  withFolder(async (folder) => {
    for (const cpu of ["interpreter", "compiled"] as const) {
      const { result } = await recordInto(folder, serialSpec(), { cpu, profile: new Profile() });
      const [, ms, walks, ns] = /^TLB misses \*\* +([\d.]+) .* ([\d,]+) page walks, (\d+) ns each$/m
        .exec(result.profile!)!;
      const counted = Number(walks.replaceAll(",", ""));
      // A device's page is in no TLB: each access to one takes a walk.
      assert.ok(counted >= result.exits, `${counted} walks, ${result.exits} exits`);
      assert.ok(Math.abs(counted * Number(ns) / 1e6 - Number(ms)) <= 0.05 + counted / 2e6);
    }
  }));

Deno.test("profile: the kinds of work make up the whole time", () =>
  withFolder(async (folder) => {
    const { result } = await recordInto(folder, serialSpec(), { profile: new Profile() });
    const [time] = result.profile!.split("Hottest");
    const shares = [...time.matchAll(/^\S.{16} +-?[0-9.]+ +(-?[0-9.]+) {2}/gm)].map((m) => +m[1]);
    assert.equal(shares.length, 9, time);
    for (const share of shares) assert.ok(share >= 0 && share <= 100, time);
    assert.ok(Math.abs(shares.reduce((a, b) => a + b, 0) - 100) < 0.5, time);
  }));
