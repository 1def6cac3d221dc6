/** How a sentence calls a security label of the database. */
export function labelName({ provider }: { readonly provider: string }) {
  return `the database's security label of "${provider}"`;
}

/** How a sentence calls a setting of the database. */
export function settingName({
  role,
  name,
}: {
  readonly role: string | null;
  readonly name: string;
}) {
  return `the database's setting ${name}${role === null ? "" : ` for "${role}"`}`;
}
