import { pino } from "pino";
import { Registry } from "prom-client";
import { SecretText } from "../../server/src/model/secret-text.ts";
import { type ControlPlane, startControlPlane } from "../../server/src/run/control-plane.ts";

/** A control plane as `conduit server` runs it, in this process. @param masterKey base64 of 32 bytes */
export const startMeasuredPlane = (url: string, masterKey: string): Promise<ControlPlane> =>
  startControlPlane({
    location: { kind: "postgres", url: new SecretText(url) },
    masterKeys: new SecretText(masterKey),
    host: "127.0.0.1",
    httpPort: 0,
    grpcPort: 0,
    publicUrl: "https://conduit.example",
    tls: undefined,
    reflection: false,
    trustedProxies: [],
    routes: [],
    log: pino({ level: "info" }, pino.destination({ dest: "/dev/null", sync: true })),
    registry: new Registry(),
  });
