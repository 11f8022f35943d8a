import { createConduit, isConduitError } from "@conduit-link/sdk";
import { ConduitProvider, useConduit } from "@conduit-link/sdk/react";
import { fromBackend } from "@conduit-link/sdk/session";
import { StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

interface Facts {
  /** The link's URL at the proxy. */
  readonly url: string;
  readonly linkToken: string;
  readonly userId: string;
}

const facts: Facts = await (await fetch("/facts.json")).json();
// One client, outside of components.
const conduit = createConduit({
  url: facts.url,
  linkToken: facts.linkToken,
  getToken: fromBackend("/api/conduit-token"),
});

function Profile() {
  const { fetchWithAuth, state, signOut } = useConduit();
  const [answer, setAnswer] = useState("");
  const call = async (path: string) => {
    try {
      const response = await fetchWithAuth(path);
      setAnswer(`${response.status} ${await response.text()}`);
    } catch (error) {
      setAnswer(isConduitError(error, "session_lost") ? "Please log in" : String(error));
    }
  };
  const logIn = async () => {
    await fetch("/api/login", { method: "POST" }); // the app's own log-in: its cookie is what getToken will be answered for
    await conduit.tokens.refresh();
  };
  const logOut = async () => {
    await fetch("/api/logout", { method: "POST" }); // first, or the next call would be given another token
    await signOut();
    setAnswer("");
  };
  // Is somebody logged in already? `session_lost` says no.
  useEffect(() => {
    conduit.tokens.getToken().catch(() => {});
  }, []);
  return (
    <main>
      <h1>React app</h1>
      <p>
        State: <output id="state">{state}</output>
      </p>
      <button type="button" onClick={logIn}>
        Log in
      </button>{" "}
      <button type="button" onClick={() => call(`/api/users/${facts.userId}/profile`)}>
        My profile
      </button>{" "}
      <button type="button" onClick={() => call("/api/users/somebody-else/profile")}>
        Another user's profile
      </button>{" "}
      <button type="button" onClick={logOut}>
        Log out
      </button>
      <pre id="answer">{answer}</pre>
    </main>
  );
}

createRoot(document.getElementById("root") as HTMLElement).render(
  <StrictMode>
    <ConduitProvider conduit={conduit}>
      <Profile />
    </ConduitProvider>
  </StrictMode>,
);
