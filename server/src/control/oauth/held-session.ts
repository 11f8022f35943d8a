import { readRefreshToken } from "../../model/refresh-token.ts";
import { getSession } from "../../store/sessions.ts";
import type { Store } from "../../store/store.ts";
import type { PublicClient } from "./public-client.ts";

/**
 * Whether a refresh token says that it is of a session of this project, and of this link when a public client shows it.
 * Whether it counts is for the API to say: its MAC is not looked at.
 */
export async function isOfSession(
  store: Store,
  project: string,
  refreshToken: string,
  client: PublicClient | undefined,
): Promise<boolean> {
  const presented = readRefreshToken(refreshToken);
  if (presented === undefined) return false;
  // Of another project: that project's issuer is another authorization server.
  const session = await store.read((reader) => getSession(reader, project, presented.session));
  return session !== undefined && (client === undefined || session.links.includes(client.link));
}
