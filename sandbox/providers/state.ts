import { isDeepStrictEqual } from "node:util";
import type { Struct as WireStruct } from "google-protobuf/google/protobuf/struct_pb.js";
import { Struct } from "./protocol.ts";
import type { AnyResource, Found } from "./resource.ts";
import { type Props, secretKeys, UNKNOWN, wrapProps } from "./values.ts";

export function propsOf(struct: WireStruct | undefined): Props {
  return (struct?.toJavaScript() ?? {}) as Props;
}

export function structOf(props: Props): WireStruct {
  return Struct.fromJavaScript(props);
}

export function unknowns(keys: readonly string[]): Props {
  return Object.fromEntries(keys.map((key) => [key, UNKNOWN]));
}

/** The keys that must go back as secrets: the resource's own, and those that came as secrets. */
export function secretsOf(resource: AnyResource, ...sources: readonly Props[]): string[] {
  return [...(resource.secrets ?? []), ...sources.flatMap(secretKeys)];
}

/** The state of a resource after work: its inputs and computed outputs, secrets marked. */
export function stateOf(resource: AnyResource, wrapped: Props, inputs: Props, outputs: Props) {
  const { __defaults: _ownNote, ...settings } = inputs;
  return structOf(wrapProps({ ...settings, ...outputs }, secretsOf(resource, wrapped)));
}

/**
 * The inputs after a look at the thing. What was set by the program and means the same stays as written, so that only
 * real drift shows; what the program never set stays out. Without old inputs (an import) everything found is taken.
 */
export function inputsAfterRead(resource: AnyResource, olds: Props, found: Found["inputs"]): Props {
  const importing = Object.keys(olds).length === 0;
  const inputs = { ...olds };
  for (const [key, now] of Object.entries(found)) {
    const old = olds[key];
    if (old === undefined && !importing) continue;
    if (now === undefined) delete inputs[key];
    else if (old === undefined || !(resource.equal?.[key] ?? isDeepStrictEqual)(old, now)) {
      inputs[key] = now;
    }
  }
  return inputs;
}
