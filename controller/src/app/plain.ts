type Plain<T> = T extends string | ((...given: never) => unknown)
  ? T
  : T extends readonly (infer Item)[]
    ? Plain<Item>[]
    : T extends object
      ? { -readonly [Key in keyof T]: Plain<T[Key]> }
      : T;

/** The same value: the shapes of the API are written for whoever fills them in. */
export function plain<T>(value: T): Plain<T> {
  return value as Plain<T>;
}
