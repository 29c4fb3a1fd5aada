export declare function missingDebianPackages(names: readonly string[]): string[] | undefined;
export declare function installDebianPackages(
  names: readonly string[],
  words: { readonly title: string; readonly otherwise: string },
): Promise<void>;
