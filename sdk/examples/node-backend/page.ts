// The page: its access token lives in this memory alone, its refresh token in a cookie that no script can read.
import { createConduit } from "@conduit-link/sdk";

interface Facts {
  /** The link's URL at the proxy. */
  readonly url: string;
  readonly linkToken: string;
}

/** Asks the page's own back end. */
const post = (path: string, body: object = {}): Promise<Response> =>
  fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

const element = (id: string): HTMLElement => document.getElementById(id) as HTMLElement;
const typed = (id: string): string => (element(id) as HTMLInputElement).value;

const facts = (await (await fetch("/facts.json")).json()) as Facts;
const conduit = createConduit({
  ...facts,
  // Called when there is no token or it is about to expire, however many calls wait for it. `null` = signed out.
  async getToken({ signal }) {
    const answer = await fetch("/refresh", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: "{}",
      signal,
    });
    if (answer.status === 401) return null;
    if (!answer.ok) throw new Error(`/refresh answered ${answer.status}`);
    return answer.json();
  },
});

function show(isSignedIn: boolean): void {
  element("log-in").hidden = isSignedIn;
  element("signed-in").hidden = !isSignedIn;
  element("state").textContent = isSignedIn ? "Signed in" : "Signed out";
}

/** The user's id is in the token; it says which of the API's paths are theirs. */
function subjectOf(token: string): string {
  const payload = token.split(".")[1] ?? "";
  return (JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/"))) as { sub: string }).sub;
}

// A session that ends elsewhere (a new password, another device that logs all out) ends here with the next refused call.
conduit.on("lost", () => show(false));

element("log-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await post("/login", { email: typed("email"), password: typed("password") });
  if (!answer.ok) {
    element("state").textContent = "Wrong e-mail or password";
    return;
  }
  const { accessToken, expiresIn } = (await answer.json()) as { accessToken: string; expiresIn: number };
  conduit.tokens.setToken(accessToken, expiresIn);
  show(true);
});

element("call").addEventListener("click", async () => {
  const token = await conduit.tokens.getToken();
  const answer = await conduit.fetchWithAuth(`/api/users/${subjectOf(token ?? "")}/profile`);
  element("answer").textContent = `${answer.status} ${await answer.text()}`;
});

element("log-out").addEventListener("click", async () => {
  await post("/logout");
  await conduit.signOut();
  element("answer").textContent = "";
  show(false);
});

// After a reload the memory is empty and the cookie is not: the first refresh says whether there is a session.
show((await conduit.tokens.getToken().catch(() => null)) !== null);
