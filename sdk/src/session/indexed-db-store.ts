import type { TokenStore } from "./store.ts";

const table = "sessions";

/**
 * Keeps the text in IndexedDB, which service workers can read too and where comparing and writing are one transaction.
 * What is said of scripts at `storageStore` holds here as well.
 */
export function indexedDbStore(key = "conduit.session", database = "conduit"): TokenStore {
  return {
    async read() {
      let kept: unknown;
      await transact(database, "readonly", (sessions) => {
        const request = sessions.get(key);
        request.onsuccess = () => {
          kept = request.result;
        };
      });
      return typeof kept === "string" ? kept : null;
    },
    async swap(expected, next) {
      let isSame = false;
      await transact(database, "readwrite", (sessions) => {
        const request = sessions.get(key);
        request.onsuccess = () => {
          isSame = (request.result ?? null) === expected;
          if (isSame) next === null ? sessions.delete(key) : sessions.put(next, key);
        };
      });
      return isSame;
    },
  };
}

/** Runs one transaction and settles when it is on the disk, or not. The database is closed, so that it never stops a later version. */
async function transact(
  database: string,
  mode: IDBTransactionMode,
  work: (sessions: IDBObjectStore) => void,
): Promise<void> {
  const db = await open(database);
  try {
    await new Promise<void>((resolve, reject) => {
      const transaction = db.transaction(table, mode);
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error("The browser gave the write up"));
      work(transaction.objectStore(table));
    });
  } finally {
    db.close();
  }
}

function open(database: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(database, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(table);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB cannot be opened"));
  });
}
