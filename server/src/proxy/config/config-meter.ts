/** What happens to the configuration, for metrics. */
export interface ConfigMeter {
  /** Bytes of one event. */
  received(bytes: number): void;
  /** An event was put in force. @param ms from its arrival */
  applied(ms: number): void;
  /** The whole state is sent anew, or asked for. @param reason the control plane's, or ours: `digest`, `sequence`, … */
  resync(reason: string): void;
  /** The configuration could not be written to disk. */
  diskFailed(): void;
}
