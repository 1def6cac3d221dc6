/** Shorter secrets are not replaced: they would tear ordinary words apart and protect nothing. */
const SHORTEST_SECRET = 4;

/**
 * Makes a function that replaces every given secret in a text, also in its URL-encoded and JSON-escaped form.
 * @param secrets values that must not be printed
 */
export function redactor(secrets: readonly (string | undefined)[]): (text: string) => string {
  const forms = new Set<string>();
  for (const secret of secrets) {
    if (secret === undefined || secret.length < SHORTEST_SECRET) continue;
    forms.add(secret);
    forms.add(encodeURIComponent(secret));
    forms.add(JSON.stringify(secret).slice(1, -1));
  }
  // The longest first, so that one secret inside another leaves no tail.
  const ordered = [...forms].sort((a, b) => b.length - a.length);
  return (text) => ordered.reduce((result, form) => result.replaceAll(form, "[secret]"), text);
}
