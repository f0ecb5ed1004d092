// Lists of slots, those of a list being slots[starts[list] … starts[list + 1]), made strictly ascending. Where rows came
// late, a list is a few ascending runs that hardly overlap, so runs are merged, two by two.

// Puts the slots of each list in order, drops repetitions and closes the gaps. `scratch` has room for the longest list.
export function orderLists(starts: usize, count: u32, slots: usize, scratch: usize): void {
  let from = slots + ((load<u32>(starts) as usize) << 2);
  let out = from;
  const startsEnd = starts + ((count as usize) << 2);
  for (let at = starts; at < startsEnd; at += 4) {
    const end = slots + ((load<u32>(at, 4) as usize) << 2);
    const bytes = (endOfRun(from, end) == end ? end : mergeRuns(from, end, scratch)) - from;
    store<u32>(at, ((out - slots) >> 2) as u32);
    if (out != from) memory.copy(out, from, bytes);
    out += bytes;
    from = end;
  }
  store<u32>(startsEnd, ((out - slots) >> 2) as u32);
}

// The end of the slots from `from` on that strictly ascend.
function endOfRun(from: usize, end: usize): usize {
  for (; from + 20 <= end; from += 16) {
    if (v128.any_true(i32x4.ge_u(v128.load(from), v128.load(from, 4)))) break;
  }
  for (; from + 8 <= end; from += 4) {
    if (load<u32>(from) >= load<u32>(from, 4)) return from + 4;
  }
  return end;
}

// The ascending runs of a list as one without repetitions; returns its end.
function mergeRuns(from: usize, end: usize, scratch: usize): usize {
  let runs: u32;
  do {
    runs = 0;
    let out = from;
    for (let run = from; run < end; runs++) {
      const middle = endOfRun(run, end);
      const next = endOfRun(middle, end);
      out = mergeTwoRuns(run, middle, next, scratch, out);
      run = next;
    }
    end = out;
  } while (runs > 1);
  return end;
}

// The runs from … middle and middle … end, which may be empty, to `out`, not above `from`; returns its end.
function mergeTwoRuns(from: usize, middle: usize, end: usize, scratch: usize, out: usize): usize {
  const overlap = middle == end ? middle : lowerBound(from, middle, load<u32>(middle));
  out = moveDown(from, overlap, out);
  let left = scratch;
  const leftEnd = scratch + (middle - overlap);
  memory.copy(scratch, overlap, middle - overlap);
  let right = middle;
  while (left < leftEnd && right < end) {
    const a = load<u32>(left);
    const b = load<u32>(right);
    store<u32>(out, min(a, b));
    out += 4;
    left += a <= b ? 4 : 0;
    right += b <= a ? 4 : 0;
  }
  memory.copy(out, left, leftEnd - left);
  return moveDown(right, end, out + (leftEnd - left));
}

// Where the first slot is that is not below this one.
function lowerBound(from: usize, end: usize, slot: u32): usize {
  let count = (end - from) >> 2;
  while (count > 0) {
    const half = count >> 1;
    const isBelow = load<u32>(from + (half << 2)) < slot;
    from = isBelow ? from + ((half + 1) << 2) : from;
    count = isBelow ? count - half - 1 : half;
  }
  return from;
}

function moveDown(from: usize, end: usize, out: usize): usize {
  if (out != from) memory.copy(out, from, end - from);
  return out + (end - from);
}
