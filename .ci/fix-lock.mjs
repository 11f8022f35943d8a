// npm leaves an optional platform package out of the lock when the registry it saw did not serve it, and `npm ci` then
// refuses that lock. This adds those entries by name; they are never fetched on a platform they do not match.
import { readFileSync, writeFileSync } from "node:fs";

const OS = [
  "android",
  "darwin",
  "freebsd",
  "linux",
  "netbsd",
  "openbsd",
  "openharmony",
  "sunos",
  "win32",
  "aix",
  "wasm32",
];
const CPU = {
  arm64: "arm64",
  x64: "x64",
  ia32: "ia32",
  arm: "arm",
  armv7: "arm",
  armv6: "arm",
  loong64: "loong64",
  mips64el: "mips64el",
  ppc64: "ppc64",
  ppc64le: "ppc64",
  riscv64: "riscv64",
  s390x: "s390x",
};

const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
const isLocked = (at, name) =>
  [at && `${at}/node_modules/${name}`, `node_modules/${name}`].some((path) => path && lock.packages[path]);

/** The entry npm would have written, its `os`, `cpu` and `libc` read from the package's name. */
function entryFor(name, version, parent) {
  const words = name.split(/[/_-]/);
  const os = OS.find((it) => words.includes(it)) ?? (words.includes("win") ? "win32" : undefined);
  if (!os || !/^\d/.test(version)) throw new Error(`fix-lock: add ${name}@${version} by hand`);
  const cpu = words.map((word) => CPU[word]).find(Boolean);
  const libc = words.some((word) => word.startsWith("musl"))
    ? ["musl"]
    : words.includes("gnu") && os === "linux"
      ? ["glibc"]
      : undefined;
  return { version, cpu: cpu && [cpu], ...(parent.dev && { dev: true }), libc, optional: true, os: [os] };
}

let added = 0;
for (const [at, parent] of Object.entries({ ...lock.packages })) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    if (isLocked(at, name)) continue;
    lock.packages[`node_modules/${name}`] = entryFor(name, version, parent);
    added += 1;
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync("package-lock.json", `${JSON.stringify(lock, null, 2)}\n`);
console.error(`fix-lock: ${added} entries added`);
