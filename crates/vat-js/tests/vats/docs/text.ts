export type Style = 'plain' | 'loud';

export const shout = (text: string): string => `${text.toUpperCase()}!`;
