// A process that opens a data directory, writes, says so, and stays until it is killed.
import { systemClock } from "../../server/src/clock.ts";
import { systemRandom } from "../../server/src/random.ts";
import { openStore } from "../../server/src/store/open.ts";
import { insertProject } from "../../server/src/store/projects.ts";

const dataDir = process.argv[2] ?? "";
const store = await openStore({ kind: "pglite", dataDir }, { clock: systemClock, random: systemRandom });
const now = new Date(0);
const row = { id: "acknowledged", displayName: "", issuer: "", createTime: now, updateTime: now };
await store.transaction((tx) => insertProject(tx, row));
console.log("acknowledged");
setInterval(() => {}, 1_000);
