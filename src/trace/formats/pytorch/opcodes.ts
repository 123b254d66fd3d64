// The opcodes of pickle, protocols 2 to 5.

export const PROTO = 0x80;
export const FRAME = 0x95;
export const STOP = 0x2e;
export const MARK = 0x28;
export const POP = 0x30;
export const POP_MARK = 0x31;
export const DUP = 0x32;
export const NONE = 0x4e;
export const NEWTRUE = 0x88;
export const NEWFALSE = 0x89;
export const INT = 0x49;
export const LONG = 0x4c;
export const BININT = 0x4a;
export const BININT1 = 0x4b;
export const BININT2 = 0x4d;
export const LONG1 = 0x8a;
export const LONG4 = 0x8b;
export const FLOAT = 0x46;
export const BINFLOAT = 0x47;
export const STRING = 0x53;
export const BINSTRING = 0x54;
export const SHORT_BINSTRING = 0x55;
export const UNICODE = 0x56;
export const BINUNICODE = 0x58;
export const SHORT_BINUNICODE = 0x8c;
export const BINUNICODE8 = 0x8d;
export const BINBYTES = 0x42;
export const SHORT_BINBYTES = 0x43;
export const BINBYTES8 = 0x8e;
export const BYTEARRAY8 = 0x96;
export const EMPTY_LIST = 0x5d;
export const LIST = 0x6c;
export const APPEND = 0x61;
export const APPENDS = 0x65;
export const EMPTY_TUPLE = 0x29;
export const TUPLE = 0x74;
export const TUPLE1 = 0x85;
export const TUPLE2 = 0x86;
export const TUPLE3 = 0x87;
export const EMPTY_DICT = 0x7d;
export const DICT = 0x64;
export const SETITEM = 0x73;
export const SETITEMS = 0x75;
export const EMPTY_SET = 0x8f;
export const ADDITEMS = 0x90;
export const FROZENSET = 0x91;
export const PUT = 0x70;
export const BINPUT = 0x71;
export const LONG_BINPUT = 0x72;
export const GET = 0x67;
export const BINGET = 0x68;
export const LONG_BINGET = 0x6a;
export const MEMOIZE = 0x94;

/** The opcodes that import, call or ask for something outside the file, by their names. */
export const REFUSED: ReadonlyMap<number, string> = new Map([
  [0x63, "GLOBAL"],
  [0x93, "STACK_GLOBAL"],
  [0x52, "REDUCE"],
  [0x62, "BUILD"],
  [0x69, "INST"],
  [0x6f, "OBJ"],
  [0x81, "NEWOBJ"],
  [0x92, "NEWOBJ_EX"],
  [0x50, "PERSID"],
  [0x51, "BINPERSID"],
  [0x82, "EXT1"],
  [0x83, "EXT2"],
  [0x84, "EXT4"],
  [0x97, "NEXT_BUFFER"],
  [0x98, "READONLY_BUFFER"],
]);

/** Bytes that follow an opcode and have a fixed number. */
export const ARGUMENT_BYTES = new Uint8Array(256);
for (const opcode of [PROTO, BININT1, LONG1, SHORT_BINSTRING, SHORT_BINUNICODE, SHORT_BINBYTES]) {
  ARGUMENT_BYTES[opcode] = 1;
}
for (const opcode of [BINPUT, BINGET]) ARGUMENT_BYTES[opcode] = 1;
ARGUMENT_BYTES[BININT2] = 2;
for (const opcode of [BININT, LONG4, BINSTRING, BINUNICODE, BINBYTES, LONG_BINPUT, LONG_BINGET]) {
  ARGUMENT_BYTES[opcode] = 4;
}
for (const opcode of [FRAME, BINFLOAT, BINUNICODE8, BINBYTES8, BYTEARRAY8]) ARGUMENT_BYTES[opcode] = 8;

/** Whether the first byte of the argument is the number of bytes after it. */
export const IS_SHORT = new Uint8Array(256);
for (const opcode of [LONG1, SHORT_BINSTRING, SHORT_BINUNICODE, SHORT_BINBYTES]) IS_SHORT[opcode] = 1;
