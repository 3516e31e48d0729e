export const installGuards = () => {};
