/**
 * Something that was done, as the audit trail keeps it. Never holds a secret, nor a token: who reads the trail may not be
 * who may read those.
 */
export interface AuditEvent {
  readonly timeMs: number;
  /** Resource name of who did it: an API key, a proxy, a session; `jobs/{job}` = a task of ours, `local` = a command. */
  readonly actor: string;
  /** `{service}.{method}`, as `LinkService.UpdateLink`; for a task of ours what the method of the same effect is called. */
  readonly action: string;
  /** Resource name of what it was done to; its project is the event's. */
  readonly resource: string;
  /** Joins it to the log and to the client's answer; "" = no call. */
  readonly requestId: string;
  /** Of the caller; "" = unknown or no call. */
  readonly clientAddress: string;
  /** What else tells one event from another: subject, token id, reason. Names of fields, never their secret values. */
  readonly details: Readonly<Record<string, string>>;
}
