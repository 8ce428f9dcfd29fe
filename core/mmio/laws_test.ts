import { DEVICES } from "./devices.ts";
import { testLaws } from "./test_laws.ts";

for (const type of Object.values(DEVICES)) testLaws(type, "core/mmio/laws_test.ts");
