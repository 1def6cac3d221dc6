/** A bastion as somebody names it. */
export interface Jump {
  readonly host: string;
  readonly user?: string;
  readonly port?: number;
}

const JUMP =
  /^(?:ssh:\/\/)?(?:([^,\s]+)@)?(?:\[([0-9a-fA-F:.%]+)\]|([^@:,\s[\]/]+))(?::(\d{1,5}))?$/;

/**
 * Reads bastions as OpenSSH's ProxyJump names them: `[user@]host[:port]`, several with commas between them (ssh_config(5)).
 * @returns in the order of the text; undefined where it is something else
 * @example readProxyJump("jump@bastion.example.com:2200") // [{ host: "bastion.example.com", user: "jump", port: 2200 }]
 */
export function readProxyJump(text: string): readonly [Jump, ...Jump[]] | undefined {
  const jumps = text.split(",").map((part) => readJump(part.trim()));
  const [first, ...others] = jumps.filter((jump) => jump !== undefined);
  return first === undefined || others.length + 1 < jumps.length ? undefined : [first, ...others];
}

function readJump(text: string): Jump | undefined {
  const [, user, address, name, port] = JUMP.exec(text) ?? [];
  const host = address ?? name;
  if (host === undefined || Number(port ?? 22) > 65_535) return undefined;
  return {
    host,
    ...(user !== undefined && { user }),
    ...(port !== undefined && { port: Number(port) }),
  };
}
