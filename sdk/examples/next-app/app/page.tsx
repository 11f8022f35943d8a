"use client";
import { signOut } from "next-auth/react";
import { useState } from "react";

/** Calls the link by both routes and shows the answers. */
export default function Page() {
  const [answer, setAnswer] = useState("Sign in first.");
  const call = async (route: string) => {
    const response = await fetch(`/api/${route}/api/users/123/notes%20of%20mine?draft=1`, {
      method: "POST",
      body: "hello",
    });
    setAnswer(`${response.status} ${await response.text()}`);
  };
  return (
    <main>
      <a href="/api/auth/signin">Sign in</a>
      <button type="button" onClick={() => call("proxy")}>
        App Router
      </button>
      <button type="button" onClick={() => call("pages-proxy")}>
        Pages Router
      </button>
      <button type="button" onClick={() => signOut({ callbackUrl: "/" })}>
        Sign out
      </button>
      <pre id="answer">{answer}</pre>
    </main>
  );
}
