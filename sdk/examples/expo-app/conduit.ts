import { createConduit } from "@conduit-link/sdk";
import { expoPlatform, secureStore } from "@conduit-link/sdk/expo";
import { createSession, fromBackend } from "@conduit-link/sdk/session";

/** The session, in the keychain or keystore. A bare JWT that an earlier version of the app kept under this key goes on. */
export const session = createSession({
  store: secureStore({ key: "jwt_token" }),
  refresh: fromBackend("https://my-app.example/api/conduit-token"),
});

/** The link. */
export const conduit = createConduit({
  url: "https://proxy.example/my-link",
  linkToken: "cl_pub_myLinkToken",
  getToken: session,
  // Looks again when the app comes back to the front: timers stand still behind a locked screen.
  platform: expoPlatform(),
});
