// Foreign programs that come with the system: installed when we may, named in one line when not, a failure in CI.
import { spawnSync } from "node:child_process";

// Debian's servers lie in sbin, which an ordinary user's PATH may lack.
process.env.PATH = `${process.env.PATH}:/usr/sbin:/sbin`;

const isThere = (program: string): boolean => spawnSync("which", [program]).status === 0;

/**
 * Whether a program of a Debian package is there, after an attempt to install it as root. With `CI=true` its absence
 * throws; else one line says that its tests are not run.
 */
export function isInstalled(program: string, debianPackage: string): boolean {
  if (isThere(program)) return true;
  if (process.getuid?.() === 0 && isThere("apt-get")) {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    spawnSync("apt-get", ["update"], { env });
    // Nothing of it is started as a service: the tests have processes of their own.
    spawnSync("apt-get", ["install", "-y", "--no-install-recommends", debianPackage], { env });
    if (isThere(program)) return true;
  }
  const why = `${program} is not installed (package ${debianPackage}): its tests were not run`;
  if (process.env.CI === "true") throw new Error(why);
  console.warn(why);
  return false;
}
