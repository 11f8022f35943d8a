// The parts of two Expo modules that ./expo.ts uses, as expo-secure-store 57 and react-native 0.88 declare them: the real packages bring
// several hundred others along, which nothing else here needs.
declare module "expo-secure-store" {
  export interface SecureStoreOptions {
    readonly keychainAccessible?: number;
    readonly keychainService?: string;
    readonly accessGroup?: string;
  }
  export const AFTER_FIRST_UNLOCK: number;
  export function getItemAsync(key: string, options?: SecureStoreOptions): Promise<string | null>;
  export function setItemAsync(key: string, value: string, options?: SecureStoreOptions): Promise<void>;
  export function deleteItemAsync(key: string, options?: SecureStoreOptions): Promise<void>;
}

declare module "react-native" {
  export const AppState: {
    addEventListener(type: "change", listener: (state: string) => void): { remove(): void };
  };
}
