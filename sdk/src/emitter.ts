/** Listeners by event type. */
export interface Emitter<Events> {
  /** Adds a listener; answers the function that removes it. */
  on<Type extends keyof Events>(type: Type, listener: (event: Events[Type]) => void): () => void;
  /** Calls every listener of the type. One that throws stops neither the others nor the caller: its error becomes an unhandled rejection. */
  emit<Type extends keyof Events>(type: Type, event: Events[Type]): void;
  /** Removes every listener. */
  clear(): void;
}

/** Makes an {@link Emitter}. */
export function createEmitter<Events>(): Emitter<Events> {
  type Entry = readonly [type: keyof Events, listener: (event: never) => void];
  const entries = new Set<Entry>();
  return {
    on(type, listener) {
      const entry: Entry = [type, listener];
      entries.add(entry);
      return () => {
        entries.delete(entry);
      };
    },
    emit(type, event) {
      for (const [itsType, listener] of [...entries]) {
        if (itsType !== type) continue;
        try {
          (listener as (event: Events[typeof type]) => void)(event);
        } catch (error) {
          void Promise.reject(error);
        }
      }
    },
    clear: () => entries.clear(),
  };
}
