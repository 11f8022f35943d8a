import { ConduitProvider, useConduit } from "@conduit-link/sdk/react";
import { useState } from "react";
import { Button, Text, View } from "react-native";
import { conduit, session } from "./conduit.ts";

/** The app's root. */
export function App() {
  return (
    <ConduitProvider conduit={conduit}>
      <Profile />
    </ConduitProvider>
  );
}

function Profile() {
  const { fetchWithAuth, state, signOut } = useConduit();
  const [answer, setAnswer] = useState("");
  const signIn = async () => {
    // Your own login; what it answers becomes the session.
    const response = await fetch("https://my-app.example/api/login", { method: "POST" });
    if (response.ok) await session.signIn(await response.json());
  };
  const load = async () => {
    const response = await fetchWithAuth("/api/users/123/profile");
    setAnswer(`${response.status} ${await response.text()}`);
  };
  return (
    <View>
      <Text>{state}</Text>
      <Button title="Sign in" onPress={signIn} />
      <Button title="Load my profile" onPress={() => load().catch((error) => setAnswer(String(error)))} />
      <Button title="Sign out" onPress={() => signOut()} />
      <Text>{answer}</Text>
    </View>
  );
}
