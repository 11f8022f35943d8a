import type { PlainRequest } from "../../model/plain-http.ts";
import type { SessionCookies } from "../../model/project.ts";
import { getProject } from "../../store/projects.ts";
import type { Store } from "../../store/store.ts";
import { OAuthFault } from "./fault.ts";
import type { Form } from "./form.ts";
import type { PublicClient } from "./public-client.ts";

/** A page that may keep its session in cookies. */
export interface CookiePage {
  readonly origin: string;
  /** `iss` of its project. */
  readonly issuer: string;
  readonly settings: SessionCookies;
}

/** An app whose session is in cookies: it gets and sends no refresh token itself. */
export interface CookieSession {
  readonly page: CookiePage;
  readonly client: PublicClient;
}

/** What a form on another site cannot send: a header that needs a preflight, which only listed origins pass. */
export const CSRF_HEADER = "x-conduit-csrf";

/** The page that a request comes from, if its origin may use the project's cookies; undefined = another, or no page. */
export async function readCookiePage(
  store: Store,
  project: string,
  { header }: PlainRequest,
): Promise<CookiePage | undefined> {
  const origin = header("origin");
  if (origin === undefined) return undefined;
  const row = await store.read((reader) => getProject(reader, project));
  if (row === undefined) return undefined;
  const { issuer, sessionCookies: settings } = row;
  const isListed = settings.origins.includes(origin) || origin === new URL(issuer).origin;
  return isListed ? { origin, issuer, settings } : undefined;
}

/**
 * Whether a request wants cookies instead of tokens in the body (`token_delivery`), and may have them; undefined = it does
 * not. Judged before any token is used. The origin is checked whatever SameSite says: a page on another host of the same
 * site gets the cookies sent along too (cross-site request forgery).
 */
export function readCookieSession(
  { header }: PlainRequest,
  form: Form,
  page: CookiePage | undefined,
  client: PublicClient | undefined,
): CookieSession | OAuthFault | undefined {
  const delivery = form.get("token_delivery") ?? "body";
  if (delivery === "body") return undefined;
  if (delivery !== "cookie") return new OAuthFault("invalid_request", "token_delivery must be body or cookie");
  if (client === undefined)
    return new OAuthFault("invalid_request", "token_delivery=cookie is for apps without a secret");
  if (page === undefined) return forbidden("Pages of this origin may not use the project's session cookies");
  if (page.settings.sameSite === "NONE" && (header(CSRF_HEADER) ?? "") === "")
    return forbidden("Send the header X-Conduit-CSRF with any value");
  return { page, client };
}

const forbidden = (description: string): OAuthFault => new OAuthFault("invalid_request", description, { status: 403 });
