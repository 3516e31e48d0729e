export const helper = word => `always ${word}`;
