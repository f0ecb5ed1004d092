/**
 * Which files a dump may name: regular files inside the configured directories, after every `..` and symbolic link has
 * been followed. What lies outside is refused in the same words whether it exists or not.
 */
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { BitloomError } from '../errors.ts';

export class DumpFiles {
  /** Absolute, without symbolic links. */
  readonly #directories: readonly string[];

  private constructor(directories: readonly string[]) {
    this.#directories = directories;
  }

  /** Error OPTION_INVALID when a directory is not there. */
  static async open(directories: readonly string[]): Promise<DumpFiles> {
    return new DumpFiles(
      await Promise.all(
        directories.map((directory) =>
          realpath(directory).catch((cause) => {
            throw new BitloomError('OPTION_INVALID', `the dump directory ${directory} cannot be used`, {
              hint: 'name an existing directory with --dump-directory',
              cause,
            });
          }),
        ),
      ),
    );
  }

  /**
   * The real path of a file. A relative one is looked for in each directory in turn.
   * Errors: DUMP_FILE_FORBIDDEN, SOURCE_NOT_FOUND.
   */
  async resolve(file: string): Promise<string> {
    if (file.includes('\0')) throw this.#forbidden(file);
    let isMissingInside = false;
    for (const directory of path.isAbsolute(file) ? ['/'] : this.#directories) {
      const real = await realpathOrNull(path.resolve(directory, file));
      if (real !== null && this.#isInside(real)) return real;
      if (real === null) isMissingInside ||= await this.#isParentInside(path.resolve(directory, file));
    }
    if (!isMissingInside) throw this.#forbidden(file);
    throw new BitloomError('SOURCE_NOT_FOUND', `${file} does not exist`, {
      hint: 'check the path',
      at: { file },
    });
  }

  #isInside(real: string): boolean {
    return this.#directories.some((directory) => {
      const relative = path.relative(directory, real);
      return (
        relative !== '' &&
        relative !== '..' &&
        !relative.startsWith(`..${path.sep}`) &&
        !path.isAbsolute(relative)
      );
    });
  }

  /** Whether the deepest folder that exists above a missing file may be looked into. */
  async #isParentInside(missing: string): Promise<boolean> {
    for (let parent = path.dirname(missing); ; parent = path.dirname(parent)) {
      const real = await realpathOrNull(parent);
      if (real !== null) return this.#directories.includes(real) || this.#isInside(real);
    }
  }

  #forbidden(file: string): BitloomError {
    return new BitloomError('DUMP_FILE_FORBIDDEN', `${JSON.stringify(file)} is not in a dump directory`, {
      hint:
        this.#directories.length === 0
          ? 'start the server with --dump-directory to let dumps be loaded from there'
          : 'dumps are loaded from the directories given with --dump-directory alone, links followed',
    });
  }
}

/** Null when nothing is there, or may be known to be. */
async function realpathOrNull(file: string): Promise<string | null> {
  try {
    return await realpath(file);
  } catch {
    return null;
  }
}
