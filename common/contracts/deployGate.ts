/**
 * What the agent says when a deploy may rely on a backup. The hook before a deploy looks for this very sentence: Kamal ends
 * with 0 on some failures, such as an accessory that it does not know (2.11, lib/kamal/cli/accessory.rb).
 */
export function deployMayGoOn(revision: string): string {
  return `The deploy of ${revision} may go on.`;
}
