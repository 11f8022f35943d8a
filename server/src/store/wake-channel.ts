/** Channel of the notifications that the configuration changed; they carry nothing. */
export const WAKE_CHANNEL = "conduit_config";
