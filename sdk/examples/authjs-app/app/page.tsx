"use client";
import { signOut } from "next-auth/react";
import { useState } from "react";

/** Calls the link by the route and shows the answer. */
export default function Page() {
  const [answer, setAnswer] = useState("Sign in first.");
  const call = async () => {
    const response = await fetch("/api/proxy/api/users/123/notes%20of%20mine?draft=1", {
      method: "POST",
      body: "hello",
    });
    setAnswer(`${response.status} ${await response.text()}`);
  };
  return (
    <main>
      <a href="/api/auth/signin">Sign in</a>
      <button type="button" onClick={call}>
        Call
      </button>
      <button type="button" onClick={() => signOut({ redirectTo: "/" })}>
        Sign out
      </button>
      <pre id="answer">{answer}</pre>
    </main>
  );
}
