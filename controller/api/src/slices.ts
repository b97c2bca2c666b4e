import { z } from 'zod';

export const Slice = z
  .object({
    profile: z.string().describe('As the driver spells it: 3g.40gb.'),
    start: z.int().min(0).describe('In placement units of the device.'),
  })
  .meta({ id: 'Slice' });
