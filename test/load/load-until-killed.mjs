// Child process of kill.test.ts: loads two dumps over each other until it is killed, and says when each is published.
import { openIndex } from 'bitloom';

const [directory, definition, ...dumps] = process.argv.slice(2);
const index = await openIndex({ directory, definition });
console.log('open');
for (let number = 0; ; number++) {
  const images = dumps[number % dumps.length];
  const report = await index.load({ images }, { threads: 2, chunkLines: 500 });
  console.log(`published ${report.version} ${images}`);
}
