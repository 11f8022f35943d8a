// What app.tsx uses of react-native; an app of its own has the real types, which bring several hundred packages along.
declare module "react-native" {
  import type { ComponentType, ReactNode } from "react";

  export const Button: ComponentType<{ title: string; onPress: () => void }>;
  export const Text: ComponentType<{ children?: ReactNode }>;
  export const View: ComponentType<{ children?: ReactNode }>;
}
