import { existsSync } from "node:fs";
import { systemClock } from "../clock.ts";
import {
  makePrivateDirectory,
  readPrivateFile,
  renamePrivateFile,
  replacePrivateFile,
  writePrivateFile,
} from "../key-file.ts";
import { refusedByEnvironment } from "../model/exit.ts";
import type { SecretText } from "../model/secret-text.ts";
import { isTokenOf } from "../model/token-string.ts";
import type { ControlAddress } from "../proxy/config/control-client.ts";
import type { CredentialFiles, HeldCredential } from "../proxy/config/credential-rotation.ts";
import { joinFleet } from "../proxy/config/join.ts";

export interface CredentialSources {
  readonly dataDir: string;
  /** `CONDUIT_PROXY_CREDENTIAL`. */
  readonly credential?: SecretText | undefined;
  /** `CONDUIT_JOIN_TOKEN`. */
  readonly joinToken?: SecretText | undefined;
  readonly controls: readonly ControlAddress[];
}

/** Where a joined proxy keeps its credential, mode 0600. */
export const credentialPath = (dataDir: string): string => `${dataDir}/proxy.credential`;

/** Beside it while a rotation is under way; likewise 0600. */
const nextPath = (dataDir: string): string => `${credentialPath(dataDir)}.next`;

/**
 * The proxy's credential: from the environment, else from the file of an earlier start, else by joining, once, with the
 * join token. A token beside an existing credential is left unused. Only a file of its own is the proxy's to rotate.
 * @throws ExitError (3) when there is none of the three, and as `joinFleet` does
 */
export async function proxyCredential(sources: CredentialSources): Promise<HeldCredential> {
  const { dataDir, credential, joinToken, controls } = sources;
  const path = credentialPath(dataDir);
  if (credential !== undefined) return { credential: checked(credential, "CONDUIT_PROXY_CREDENTIAL") };
  const credentialFiles = filesIn(dataDir);
  if (existsSync(path)) return { ...readCredentials(dataDir), credentialFiles };
  if (joinToken === undefined)
    throw refusedByEnvironment(
      "CONDUIT_JOIN_TOKEN: missing, and there is no proxy.credential in the data directory yet: " +
        "make a token with `conduit proxy join-token`",
    );
  // Before the token is spent: a credential that cannot be kept would be lost.
  makePrivateDirectory(dataDir);
  const joined = await joinFleet(controls, joinToken, systemClock);
  writePrivateFile(path, `${joined.reveal()}\n`);
  return { credential: joined, credentialFiles };
}

function readCredentials(dataDir: string): HeldCredential {
  const [path, next] = [credentialPath(dataDir), nextPath(dataDir)];
  const credential = checked(readPrivateFile(path, "proxy credential"), path);
  if (!existsSync(next)) return { credential };
  return { credential, nextCredential: checked(readPrivateFile(next, "next proxy credential"), next) };
}

const filesIn = (dataDir: string): CredentialFiles => ({
  keepNext: (next) => replacePrivateFile(nextPath(dataDir), `${next.reveal()}\n`),
  promoteNext: () => renamePrivateFile(nextPath(dataDir), credentialPath(dataDir)),
});

function checked(credential: SecretText, what: string): SecretText {
  if (isTokenOf("proxyCredential", credential.reveal())) return credential;
  throw refusedByEnvironment(`${what}: not a proxy's credential (cl_prx_…)`);
}
