/** In the place of the clouds' own packages, which take longer to read than all else. The reference prints their types as they stand in the source. */
export {};
