import { isLoopbackHost } from "../model/address.ts";

/**
 * What is wrong with a URL that we are to call (upstream, JWKS, discovery, webhook); undefined = nothing. Public text
 * without the URL. Pure, for checks on write: where the name leads is checked again at each connection (`dialer.ts`).
 */
export function targetUrlProblem(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) return "must be an absolute URL";
  if (url.protocol !== "https:" && url.protocol !== "http:") return "must be an https URL";
  if (url.protocol === "http:" && !isLoopbackHost(url.hostname)) {
    return "must be https; plain http is only for loopback hosts";
  }
  // `https://good.example@evil.example/` reads like another host, and its password would stand in lists and logs.
  if (url.username !== "" || url.password !== "") return "must not contain a user name or password";
  return undefined;
}
