/**
 * The canonical digest of a version: equal for equal content, however the content came to be and whatever the
 * dictionary codes are. Everything stored counts, slots that are not alive too; a value without slots does not exist.
 *
 * The format, all integers little-endian, every hash SHA-256 written in lower-case hexadecimal:
 *
 * alive       hash of: u64 number of alive slots; then every slot, ascending, as u32.
 * filter part hash of, for every value with at least one slot, in the order of values:
 *               u32 byte length of the value's text; the text in UTF-8; u64 number of slots; every slot, ascending, as u32.
 *             Text of a value: `false`, `true`; the integer in decimal with `-` if negative (uint32, int32, timestamp in
 *             epoch seconds); the string itself. Order of values: false before true; integers ascending by value;
 *             strings by their UTF-8 bytes, unsigned, the shorter first where one begins the other.
 *             Without any value this is the hash of no bytes.
 * sort part   hash of: u64 number of slots with a value; then for each of these slots, ascending: u32 slot, u32 key; then
 *             for each bit 0 to 31 that at least one key has: u32 bit, u64 number of slots whose key has it, and these
 *             slots, ascending, as u32. Key: boolean 0 or 1; uint32 and timestamp the value; int32 the value + 2^31.
 *             (The layers are hashed as stored, so a layer that disagrees with its column shows.)
 * index       hash of these lines in UTF-8, each ended by a line feed: `alive <hex>`; then for each field of the
 *             definition, in the order of the UTF-8 bytes of its name: `filter <name> <hex>` if it is a filter field,
 *             then `sort <name> <hex>` if it is a sort field.
 */
