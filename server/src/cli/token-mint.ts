import { wrongSetting } from "../model/exit.ts";
import type { ClientSettings } from "../settings.ts";
import { controlClient, orExit } from "./client.ts";
import { type Output, printResult } from "./output.ts";

export interface TokenMintOptions {
  readonly project: string;
  readonly subject: string;
  /** Link ids. */
  readonly link: readonly string[];
  /** As `15m` or `900s`. */
  readonly lifetime?: string;
  /** JSON object of further claims. */
  readonly claims?: string;
  readonly scope?: string;
  readonly json: boolean;
}

/** `conduit token mint`: prints a user's access token. */
export async function tokenMint(settings: ClientSettings, options: TokenMintOptions, output: Output): Promise<void> {
  const minted = await orExit(
    controlClient(settings).mintToken({
      parent: `projects/${options.project}`,
      subject: options.subject,
      links: options.link.map((id) => `projects/${options.project}/links/${id}`),
      ...(options.lifetime !== undefined && { lifetime: options.lifetime }),
      ...(options.claims !== undefined && { claims: parseClaims(options.claims) }),
      ...(options.scope !== undefined && { scope: options.scope }),
    }),
  );
  const { accessToken, tokenType, expiresIn, tokenId } = minted;
  if (options.json)
    printResult(
      output,
      { access_token: accessToken, token_type: tokenType, expires_in: expiresIn, token_id: tokenId },
      true,
    );
  else output.out(accessToken);
}

function parseClaims(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below, without the text: it may hold personal data.
  }
  throw wrongSetting("--claims: give a JSON object");
}
