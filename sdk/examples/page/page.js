// A page without a bundler. Its token lives in this memory alone; a reload asks the page's own server for another.
import { createConduit, isConduitError } from "@conduit-link/sdk";
import { fromBackend } from "@conduit-link/sdk/session";

/** @type {{ url: string, linkToken: string, userId: string }} */
const { url, linkToken, userId } = await (await fetch("/facts.json")).json();
const conduit = createConduit({ url, linkToken, getToken: fromBackend("/api/conduit-token") });

const element = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const showState = () => element("state").replaceChildren(conduit.state);

for (const type of /** @type {const} */ (["change", "refresh", "lost"])) conduit.on(type, showState);

/** @param {string} path of the API, below the link */
async function call(path) {
  const answer = await conduit
    .fetchWithAuth(path)
    .then(async (response) => `${response.status} ${await response.text()}`)
    .catch((error) => (isConduitError(error, "session_lost") ? "Please log in" : String(error)));
  element("answer").replaceChildren(answer);
}

element("mine").addEventListener("click", () => call(`/api/users/${userId}/profile`));
element("other").addEventListener("click", () => call("/api/users/somebody-else/profile"));
element("log-in").addEventListener("click", async () => {
  await fetch("/api/login", { method: "POST" }); // the page's own log-in: its cookie is what getToken will be answered for
  await conduit.tokens.refresh();
});
element("log-out").addEventListener("click", async () => {
  await fetch("/api/logout", { method: "POST" }); // first, or the next call would be given another token
  await conduit.signOut();
  element("answer").replaceChildren();
});

// Is somebody logged in already? `session_lost` says no.
await conduit.tokens.getToken().catch(() => {});
showState();
