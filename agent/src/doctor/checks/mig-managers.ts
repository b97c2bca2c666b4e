import type { Files } from '../surroundings.ts';

/** As the kernel shortens them. */
const programs = /^(nvidia-mig-mana|nvidia-mig-part|mig-manager|mig-parted)/;
const units = ['/etc/systemd/system', '/run/systemd/system', '/lib/systemd/system', '/usr/lib/systemd/system'];

/** Programs that manage MIG, by their names, and NVIDIA's unit, which has ended when all is well. */
export async function lookForMigManagers(files: Files): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of (await files.list('/proc')).filter((name) => /^\d+$/.test(name))) {
    const comm = (await files.readText(`/proc/${pid}/comm`))?.trim();
    if (comm !== undefined && programs.test(comm)) found.push(`process ${pid} (${comm})`);
  }
  for (const directory of units) {
    const enabled = `${directory}/multi-user.target.wants/nvidia-mig-manager.service`;
    if ((await files.look(enabled)).kind === 'there') return [...found, 'nvidia-mig-manager.service at each start'];
  }
  return found;
}
