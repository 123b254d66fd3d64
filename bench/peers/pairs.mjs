// The loop of the peers' cases. bench/peers/index.mjs has a copy of it for each peer.

/** Returns a function that allocates, and then frees a random block, over and over. `held` has the live blocks. */
export function pairsOn(peer, n, held, victims) {
  const mask = victims.length - 1;
  let turn = 0;
  return (operations) => {
    let sum = 0;
    for (let i = 0; i < operations; i++) {
      const block = peer.alloc(n);
      const victim = victims[turn++ & mask];
      peer.free(held[victim]);
      held[victim] = block;
      sum += peer.offset(block);
    }
    return sum;
  };
}
