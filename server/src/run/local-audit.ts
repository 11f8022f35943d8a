import { type Output, printResult } from "../cli/output.ts";
import { verifyAudit } from "../control/audit/verify.ts";
import { EXIT, ExitError } from "../model/exit.ts";
import type { Environment } from "../settings.ts";
import { withLocalStore } from "./local-store.ts";

export interface LocalAuditOptions {
  readonly dataDir: string;
  readonly json: boolean;
  /** `<number>:<hash>` of an earlier run. */
  readonly head?: string;
}

/**
 * `conduit audit verify --local`: whether the sealed records are as they were sealed; needs no key.
 * @throws ExitError (1) when they are not
 */
export function localAuditVerify(options: LocalAuditOptions, environment: Environment, output: Output): Promise<void> {
  return withLocalStore(options.dataDir, environment, async (store) => {
    const { findings, ...verdict } = await verifyAudit(store, options.head);
    const told = findings.map(({ block, what }) => ({ block: Number(block), what }));
    for (const { block, what } of told) output.err(`block ${block}: ${what}`);
    printResult(output, { ...verdict, findings: options.json ? told : told.length }, options.json);
    if (told.length > 0) throw new ExitError(EXIT.failed, "the audit trail is not as it was sealed");
  });
}
