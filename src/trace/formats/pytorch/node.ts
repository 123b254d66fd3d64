// What the unpickler keeps of a file: numbers, known words, and the containers that its reader asked for.

/**
 * A value of the file: an integer, exactly (a bigint where a number could not be), a known word, or a container that
 * is wanted. Undefined for all else.
 */
export type Value = number | bigint | string | Node | undefined;

/** Codes of values. Words have the codes between. */
export const UNWANTED = 0;
/** A dict whose items have been taken: TAKEN. */
export const TAKEN_CODE = 254;
/** A value that is kept beside its code: a number or a node. */
export const KEPT = 255;

/** A list or dict that is wanted, as it is being filled. */
export interface Node {
  readonly isList: boolean;
  /** Whether a file may name it more than once. */
  readonly isShared?: boolean;
  /**
   * Returns the node for a list or dict that begins in this one, and whose items matter; undefined if they do not.
   *
   * @param key of this dict that it is the value of; undefined in a list
   * @param byte offset of the container in the file
   */
  child(isList: boolean, key: string | undefined, byte: number): Node | undefined;
  /** Takes the next item of a list, or the value of a key of a dict. Throws PageAllocError ERR_TRACE. */
  put(key: string | undefined, value: Value): void;
  /** Called when a dict has got all of its items. TAKEN stands for it from now on. */
  end?(): void;
}

/** What stands for a dict whose items have been taken. */
export const TAKEN: Node = { isList: false, child: () => undefined, put() {} };
