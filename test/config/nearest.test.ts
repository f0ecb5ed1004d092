import { describe, expect, it } from 'vitest';
import { nearestName } from '../../src/config/nearest.ts';

describe('nearestName', () => {
  it('finds what was meant', () => {
    const names = ['nsfwLevel', 'userId', 'width', 'height', 'id'];
    expect(nearestName('nsfwlevel', names)).toBe('nsfwLevel');
    expect(nearestName('widht', names)).toBe('width');
    expect(nearestName('heigth', names)).toBe('height');
    expect(nearestName('usrId', names)).toBe('userId');
    expect(nearestName('ids', names)).toBe('id');
  });

  it('finds nothing where nothing is near', () => {
    expect(nearestName('colour', ['width', 'height'])).toBeNull();
    expect(nearestName('x', ['y1', 'zz'])).toBeNull();
    expect(nearestName('x', [])).toBeNull();
  });
});
