/** What reading a text of the configuration gave: the value, or what is wrong with the text (public, without the text). */
export type Parsed<T> = { readonly value: T } | { readonly problem: string };
