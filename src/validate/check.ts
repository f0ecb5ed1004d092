/** The outcome of one comparison of a validation. */

export interface Check {
  readonly name: string;
  readonly state: 'passed' | 'failed' | 'not run';
  /** What was compared; where it failed the first difference; why it was not run. */
  readonly detail: string;
}
